#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_ACTION_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_ACTION_H_

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace ringmaster {

// A function of no arguments, called once or more. As std::function but moved, never copied; what
// it has captured lies in the object itself if it fits, since a simulation makes two of these for
// every message.
class EventAction {
 public:
  EventAction() = default;
  EventAction(std::nullptr_t) {}
  template <typename Function,
            typename = std::enable_if_t<!std::is_same_v<std::decay_t<Function>, EventAction>>>
  EventAction(Function&& function) {
    using Own = std::decay_t<Function>;
    if constexpr (Fits<Own>()) {
      ::new (static_cast<void*>(memory_)) Own(std::forward<Function>(function));
      kind_ = &kInside<Own>;
    } else {
      ::new (static_cast<void*>(memory_)) Own*(new Own(std::forward<Function>(function)));
      kind_ = &kOutside<Own>;
    }
  }
  EventAction(EventAction&& other) noexcept { Take(&other); }
  EventAction& operator=(EventAction&& other) noexcept {
    if (this != &other) {
      Drop();
      Take(&other);
    }
    return *this;
  }
  ~EventAction() { Drop(); }

  explicit operator bool() const { return kind_ != nullptr; }
  // REQUIRES: there is a function.
  void operator()() const { kind_->call(memory_); }

 private:
  static constexpr size_t kBytes = 104;  // what the largest action of a message has captured

  struct Kind {
    void (*call)(void* memory);
    void (*move)(void* from, void* to);  // nothing is left at `from`
    void (*drop)(void* memory);
  };
  template <typename Own>
  static constexpr bool Fits() {
    return sizeof(Own) <= kBytes && alignof(Own) <= alignof(void*) &&
           std::is_nothrow_move_constructible_v<Own>;
  }
  template <typename Own>
  static constexpr Kind kInside = {[](void* memory) { (*static_cast<Own*>(memory))(); },
                                   [](void* from, void* to) {
                                     ::new (to) Own(std::move(*static_cast<Own*>(from)));
                                     static_cast<Own*>(from)->~Own();
                                   },
                                   [](void* memory) { static_cast<Own*>(memory)->~Own(); }};
  template <typename Own>
  static constexpr Kind kOutside = {
      [](void* memory) { (**static_cast<Own**>(memory))(); },
      [](void* from, void* to) { ::new (to) Own*(*static_cast<Own**>(from)); },
      [](void* memory) { delete *static_cast<Own**>(memory); }};

  void Take(EventAction* other) {
    kind_ = std::exchange(other->kind_, nullptr);
    if (kind_ != nullptr) kind_->move(other->memory_, memory_);
  }
  void Drop() {
    if (kind_ != nullptr) std::exchange(kind_, nullptr)->drop(memory_);
  }

  const Kind* kind_ = nullptr;
  alignas(void*) mutable std::byte memory_[kBytes];
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_EVENT_ACTION_H_
