#ifndef RINGMASTER_TESTS_DOCS_THEORY_PAGE_H_
#define RINGMASTER_TESTS_DOCS_THEORY_PAGE_H_

#include <string>
#include <vector>

namespace ringmaster {

// A table of docs/THEORY.md: cells by row, the head left out. Fails the test where the section of
// that heading has no table, and counts the table as computed.
std::vector<std::vector<std::string>> TableOf(const std::string& heading);

// The number that a cell holds, or that a label ends with ("geometric, mean 3": 3).
double NumberIn(const std::string& cell);

// Expects that `value` is what `cell` says, within `units` of its last digit: a half of one, but
// for values that are drawn.
void ExpectCell(const std::string& cell, double value, double units = 0.501);

// How far a drawn value may be off: the drawing's own noise, stated where it is larger.
inline constexpr double kDrawn = 1.5;

// The largest h in (0, 64) up to which `is_stable` holds from 0 on, to about nine digits.
template <typename IsStable>
double EdgeOf(const IsStable& is_stable, double first = 1.0 / 1024) {
  double stable = 0, unstable = first;
  while (unstable < 64 && is_stable(unstable)) {
    stable = unstable;
    unstable *= 1.25;
  }
  for (int i = 0; i < 32; ++i) {
    const double middle = (stable + unstable) / 2;
    (is_stable(middle) ? stable : unstable) = middle;
  }
  return stable;
}

// Whether all roots of the polynomial, highest power first, lie within the unit circle. By Schur
// and Cohn's recursion.
bool IsStablePolynomial(std::vector<double> coefficients);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_DOCS_THEORY_PAGE_H_
