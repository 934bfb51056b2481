#include "common/base/system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A limit of this process while it lives.
class Limit {
 public:
  Limit(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    getrlimit(resource_, &before_);
    const rlimit limit{value, before_.rlim_max};
    EXPECT_EQ(setrlimit(resource_, &limit), 0);
  }
  ~Limit() { setrlimit(resource_, &before_); }

 private:
  const __rlimit_resource resource_;
  rlimit before_{};
};

TEST(SystemError, OfAFileThatMayNotGrowNamesTheLimit) {
  signal(SIGXFSZ, SIG_IGN);
  std::FILE* const file = std::tmpfile();
  const Limit limit(RLIMIT_FSIZE, 1000);
  ASSERT_NE(ftruncate(fileno(file), 2000), 0);
  const absl::Status status = SystemError(errno, "cannot write x");
  std::fclose(file);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("cannot write x: File too large"),
                    HasSubstr("limit of 1000 bytes a file (ulimit -f")));
}

TEST(SystemError, OfTooManyOpenFilesNamesTheLimit) {
  const Limit limit(RLIMIT_NOFILE, 3);
  ASSERT_LT(open("/dev/null", O_RDONLY), 0);
  EXPECT_THAT(ErrorText(errno), HasSubstr("limit of 3 open files (ulimit -n"));
}

TEST(SystemError, OfAFullDiskSaysFull) {
  const int full = open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "there is no /dev/full";
  ASSERT_LT(write(full, "x", 1), 0);
  EXPECT_THAT(ErrorText(errno), HasSubstr("the disk is full"));
  close(full);
}

TEST(SystemError, OfAnotherKindIsTheSystemsOwnWords) {
  EXPECT_EQ(ErrorText(ENOENT), "No such file or directory");
  EXPECT_FALSE(IsLimit(ENOENT));
}

}  // namespace
}  // namespace ringmaster
