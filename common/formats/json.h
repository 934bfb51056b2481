#ifndef RINGMASTER_COMMON_FORMATS_JSON_H_
#define RINGMASTER_COMMON_FORMATS_JSON_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringmaster {

// A JSON value: null, a truth value, a number, a text, an array or an object. nlohmann-json writes
// and reads its text, and is compiled in this package alone: its header costs every file seconds.
// Names are those of a container. A value copies what it is made of. Thread-compatible.
class Json {
 public:
  struct Member;

  Json();  // null
  Json(std::nullptr_t) : Json() {}
  Json(bool value);
  Json(int value);
  Json(long value);
  Json(long long value);
  Json(unsigned value);
  Json(unsigned long value);
  Json(unsigned long long value);
  Json(double value);  // written as the shortest decimal that reads back the same; not finite: null
  Json(const char* text);
  Json(std::string text);
  template <typename T>
  Json(const std::vector<T>& items) : Json(Array()) {
    for (const T& item : items) push_back(item);
  }
  // {{"a", 1}, {"b", 2}} is an object, with its members in that order: every item is an array of
  // two whose first is a text. Any other list is an array.
  Json(std::initializer_list<Json> items);

  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();

  static Json Array();   // without items
  static Json Object();  // without members

  // A member for each entry of a map with texts as keys, sorted by name: the order of a protobuf
  // map is not fixed.
  template <typename Map>
  static Json SortedObject(const Map& map) {
    Json object = Object();
    for (const auto& [name, value] : map) object[name] = value;
    object.SortMembers();
    return object;
  }

  // The value of a JSON text, or nothing where it is none. Members keep their order.
  static std::optional<Json> Parse(absl::string_view text);

  // One line without spaces, members in the order in which they were added. Bytes that are not
  // UTF-8 are replaced.
  std::string Dump() const;
  std::string DumpAscii() const;  // with \u escapes for all that is not ASCII

  // The member of that name of an object, added as null where there is none. A null becomes an
  // object. REQUIRES: an object or null. The reference is good until another member is added.
  Json& operator[](absl::string_view name);
  // REQUIRES: contains(name).
  const Json& operator[](absl::string_view name) const;
  bool contains(absl::string_view name) const;  // false where this is no object

  // A null becomes an array. REQUIRES: an array or null.
  void push_back(Json item);
  Json& back();
  // Of an array; others have no items.
  Json* begin();
  Json* end();
  const Json* begin() const;
  const Json* end() const;
  size_t size() const;  // items of an array, members of an object, 0 of null, 1 of anything else
  bool empty() const { return size() == 0; }

  bool is_number() const;
  bool is_text() const { return std::holds_alternative<std::string>(value_); }
  double number() const;            // REQUIRES: a number
  const std::string& text() const;  // REQUIRES: a text

 private:
  using Items = std::vector<Json>;
  using Members = std::vector<Member>;

  void SortMembers();
  void Append(bool ascii, std::string* text) const;

  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Items, Members> value_;
};

struct Json::Member {
  std::string name;
  Json value;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_JSON_H_
