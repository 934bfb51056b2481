#include "common/machine/file_system.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

TEST(FileSystem, ThoseOfANetworkAreKnownByTheirType) {
  const struct {
    int64_t type;
    const char* name;
  } kCases[] = {
      {0x6969, "nfs"},
      {0x0BD00BD0, "lustre"},
      {0xFF534D42, "cifs"},
      {0xFE534D42, "smb2"},
      {0x65735546, "fuse"},
      {0x01021997, "9p"},
      {0x19830326, "beegfs"},
      {0x47504653, "gpfs"},
      {0x00C36400, "ceph"},
      {0xEF53, ""},
      {0x58465342, ""},
      {0x01021994, ""},  // ext4, xfs, tmpfs
      {0x9123683E, ""},
      {0x794C7630, ""},  // btrfs, overlayfs
      {0, ""},
      {static_cast<int32_t>(0xFF534D42), "cifs"},  // from a field with a sign
  };
  for (const auto& [type, name] : kCases) EXPECT_EQ(NetworkFileSystemName(type), name) << type;
}

TEST(FileSystem, AFolderThatIsNotThereYetIsOnThatOfTheOneAboveIt) {
  EXPECT_EQ(NetworkFileSystemAt("/proc/self/no/such/folder"), "");
  const std::string folder = NewFolder("file_system");
  EXPECT_EQ(NetworkFileSystemAt(folder + "/a/b/c"), NetworkFileSystemAt(folder));
}

TEST(FileSystem, AChangeIsSeenByItsTime) {
  const std::string folder = NewFolder("last_change");
  const std::string path = folder + "/file";
  EXPECT_TRUE(absl::IsNotFound(LastChange(path).status()));
  std::ofstream(path) << "a";
  const auto before = LastChange(path);
  ASSERT_TRUE(before.ok()) << before.status();
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(5));
  EXPECT_EQ(*LastChange(path), *before + absl::Seconds(5));
}

}  // namespace
}  // namespace ringmaster
