#include "common/engine/cuda_ipc/ipc_offer.h"

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

IpcOffer OfferOn(const char* device, uint64_t process) {
  IpcOffer offer = {};
  std::strncpy(offer.device, device, sizeof(offer.device) - 1);
  offer.process = process;
  offer.board.memory = {12, 3, 4567, 89};
  offer.memory = 0x7f0000000000 + process;
  offer.events[1][1] = 42 + process;
  offer.memory_handle.fill(static_cast<char>(process));
  offer.event_handles[1][0].fill(static_cast<char>(-1 - process));
  return offer;
}

TEST(IpcOffer, WhatARankSaysIsWhatTheOthersRead) {
  std::vector<std::string> messages;
  for (const uint64_t process : {1, 2, 1})
    messages.push_back(EncodeIpcOffer(OfferOn("GPU-a", process)));
  const auto offers = DecodeIpcOffers(messages);
  ASSERT_TRUE(offers.ok()) << offers.status();
  ASSERT_EQ(offers->size(), 3u);
  for (size_t rank = 0; rank < 3; ++rank)
    EXPECT_EQ(EncodeIpcOffer((*offers)[rank]), messages[rank]);
  EXPECT_EQ((*offers)[1].board.memory.inode, 4567u);
  EXPECT_TRUE(IsSameProcess((*offers)[0], (*offers)[2]));
  EXPECT_FALSE(IsSameProcess((*offers)[0], (*offers)[1]));
}

TEST(IpcOffer, RanksOnDifferentDevicesAreRefusedWithWhatToUse) {
  const absl::Status status =
      DecodeIpcOffers(std::vector<std::string>{EncodeIpcOffer(OfferOn("GPU-a (NVIDIA H100)", 1)),
                                               EncodeIpcOffer(OfferOn("GPU-a (NVIDIA H100)", 2)),
                                               EncodeIpcOffer(OfferOn("GPU-b (NVIDIA H100)", 3))})
          .status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  const std::string text(status.message());
  EXPECT_THAT(
      text,
      HasSubstr(
          "ranks 0 and 2 are on different GPUs, GPU-a (NVIDIA H100) and GPU-b (NVIDIA H100)"));
  EXPECT_THAT(text, HasSubstr("use collective \"nccl\""));
}

TEST(IpcOffer, AMessageOfAnotherLengthAndADeviceThatDoesNotEndAreNotTrusted) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      DecodeIpcOffers(std::vector<std::string>{EncodeIpcOffer(OfferOn("GPU-a", 1)), "hello"})
          .status()));
  IpcOffer endless = OfferOn("GPU-a", 1);
  std::memset(endless.device, 'x', sizeof(endless.device));
  const auto offers = DecodeIpcOffers(std::vector<std::string>{EncodeIpcOffer(endless)});
  ASSERT_TRUE(offers.ok());
  EXPECT_EQ(std::strlen((*offers)[0].device), sizeof(endless.device) - 1);
}

TEST(IpcOffer, MoreRanksThanAKernelTakesAreRefused) {
  const std::vector<std::string> messages(kIpcRanksMax + 1, EncodeIpcOffer(OfferOn("GPU-a", 1)));
  EXPECT_THAT(std::string(DecodeIpcOffers(messages).status().message()),
              HasSubstr("65 ranks on one GPU, at most 64"));
}

}  // namespace
}  // namespace ringmaster
