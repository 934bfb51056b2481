#ifndef RINGMASTER_COMMON_COLLECTIVE_DOUBLE_BINARY_TREE_H_
#define RINGMASTER_COMMON_COLLECTIVE_DOUBLE_BINARY_TREE_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// Each half of the bucket goes up a binary tree of its own, added on the way, and the sum goes down
// again. No rank is an inner node of both trees: inner nodes of the first are odd ranks, those of
// the second even ones. So a rank sends at most three halves in one tree and one in the other, 2S
// in all, in 2 * floor(log2 N) rounds, and every rank has about the same to do. Large halves are
// cut into pieces (common/collective/plan.h), which follow each other up and down, so that all
// levels of a tree work at once.
//
// The first tree numbers its nodes in order, left, node, right; the root of n nodes has the odd
// number next to n/2, and so has each subtree's from its first node on. The second is the first
// mirrored where N is even, shifted by one where it is odd.
//
// Order of addition: a node adds its own and its children's sums in rank order, along the tree.
// Source: Sanders, Speck and Traeff 2009, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", sections 3 and 4.
std::unique_ptr<Schedule> CreateDoubleBinaryTree();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_DOUBLE_BINARY_TREE_H_
