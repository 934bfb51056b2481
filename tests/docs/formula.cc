#include "tests/docs/formula.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// Evaluates while it reads. After a fault the rest is read as nothing, and the first fault stands.
class Reader {
 public:
  Reader(absl::string_view text, const std::map<std::string, double>& variables)
      : text_(text), variables_(variables) {}

  absl::StatusOr<double> All() {
    const double value = Sum();
    if (Peek() != '\0') Fail("more than a formula");
    if (!fault_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("formula \"", text_, "\": ", fault_));
    }
    return value;
  }

 private:
  char Peek() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Ate(char wanted) {
    if (Peek() != wanted) return false;
    ++at_;
    return true;
  }

  void Expect(char wanted) {
    if (!Ate(wanted)) Fail(absl::StrCat("no ", std::string(1, wanted)));
  }

  double Fail(absl::string_view what) {
    if (fault_.empty()) fault_ = absl::StrCat(what, " at ", at_);
    at_ = text_.size();
    return 0;
  }

  double Sum() {
    double value = Product();
    while (true) {
      if (Ate('+')) {
        value += Product();
      } else if (Ate('-')) {
        value -= Product();
      } else {
        return value;
      }
    }
  }

  double Product() {
    double value = Signed();
    while (true) {
      if (Ate('*')) {
        value *= Signed();
      } else if (Ate('/')) {
        value /= Signed();
      } else {
        return value;
      }
    }
  }

  double Signed() { return Ate('-') ? -Signed() : Power(); }

  double Power() {
    const double base = Atom();
    return Ate('^') ? std::pow(base, Signed()) : base;
  }

  double Atom() {
    const char next = Peek();
    if (Ate('(')) {
      const double value = Sum();
      Expect(')');
      return value;
    }
    if (absl::ascii_isdigit(next)) {
      const std::string digits(text_.substr(at_));
      char* end = nullptr;
      const double value = std::strtod(digits.c_str(), &end);
      at_ += end - digits.c_str();
      return value;
    }
    if (!absl::ascii_isalpha(next)) return Fail("neither a number nor a name");
    const std::string name = Name();
    if (Ate('(')) {
      const double value = name == "sum" ? Series() : Function(name);
      Expect(')');
      return value;
    }
    const auto found = variables_.find(name);
    if (found == variables_.end()) return Fail(absl::StrCat("nothing is called ", name));
    return found->second;
  }

  std::string Name() {
    Peek();
    const size_t begin = at_;
    while (at_ < text_.size() && absl::ascii_isalnum(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  double Function(const std::string& name) {
    const double first = Sum();
    if (name == "log2") return std::log2(first);
    if (name == "floor") return std::floor(first);
    if (name == "ceil") return std::ceil(first);
    if (name != "min" && name != "max") return Fail(absl::StrCat("no function is called ", name));
    Expect(',');
    const double second = Sum();
    return name == "min" ? std::min(first, second) : std::max(first, second);
  }

  // The body is read once for each value of the variable, and once more to get past it.
  double Series() {
    const std::string variable = Name();
    Expect(',');
    const double first = Sum();
    Expect(',');
    const double last = Sum();
    Expect(',');
    const size_t body = at_;
    double total = 0;
    for (double j = first; j <= last && fault_.empty(); ++j) {
      at_ = body;
      variables_[variable] = j;
      total += Sum();
    }
    if (first > last) {
      variables_[variable] = first;
      Sum();
    }
    variables_.erase(variable);
    return total;
  }

  const absl::string_view text_;
  std::map<std::string, double> variables_;
  size_t at_ = 0;
  std::string fault_;
};

}  // namespace

absl::StatusOr<double> Evaluate(absl::string_view formula,
                                const std::map<std::string, double>& variables) {
  return Reader(formula, variables).All();
}

}  // namespace ringmaster
