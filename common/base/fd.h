#ifndef RINGMASTER_COMMON_BASE_FD_H_
#define RINGMASTER_COMMON_BASE_FD_H_

#include <utility>

namespace ringmaster {

// Owns a file descriptor, closed at the end; -1: none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  // The caller owns it from here on.
  int Release() { return std::exchange(fd_, -1); }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_FD_H_
