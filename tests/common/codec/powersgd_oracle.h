#ifndef RINGMASTER_TESTS_COMMON_CODEC_POWERSGD_ORACLE_H_
#define RINGMASTER_TESTS_COMMON_CODEC_POWERSGD_ORACLE_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ringmaster {

// PowerSGD of one matrix among some ranks, from algorithms 1 and 2 of Vogels et al. 2019, in plain
// loops and double precision: what the codec is held against. It shares no code with the codec.
class PowersgdOracle {
 public:
  using Matrix = std::vector<double>;  // row after row

  // What a rank keeps: the matrix less what it has sent itself (algorithm 2), or less the average
  // (as the authors' program does).
  enum class Keeps { kLessOwn, kLessAverage, kNothing };

  // `q`: [rank, columns], where the first step begins.
  PowersgdOracle(size_t ranks, size_t rows, size_t columns, Matrix q, Keeps keeps)
      : rows_(rows),
        columns_(columns),
        rank_(q.size() / columns),
        keeps_(keeps),
        q_(std::move(q)),
        kept_(ranks, Matrix(rows * columns)) {}

  // The average of a step; `gradients` are scaled so that they add up to the average.
  Matrix Step(const std::vector<Matrix>& gradients) {
    const size_t ranks = gradients.size();
    std::vector<Matrix> corrected = gradients;
    for (size_t w = 0; w < ranks; ++w) {
      for (size_t i = 0; i < corrected[w].size(); ++i) corrected[w][i] += kept_[w][i];
    }
    Matrix p(rank_ * rows_);
    for (const Matrix& m : corrected) {
      for (size_t k = 0; k < rank_; ++k) {
        for (size_t i = 0; i < rows_; ++i) {
          for (size_t j = 0; j < columns_; ++j)
            p[k * rows_ + i] += m[i * columns_ + j] * q_[k * columns_ + j];
        }
      }
    }
    GramSchmidt(&p);
    std::vector<Matrix> own_q(ranks, Matrix(rank_ * columns_));
    q_.assign(rank_ * columns_, 0);
    for (size_t w = 0; w < ranks; ++w) {
      for (size_t k = 0; k < rank_; ++k) {
        for (size_t j = 0; j < columns_; ++j) {
          for (size_t i = 0; i < rows_; ++i)
            own_q[w][k * columns_ + j] += corrected[w][i * columns_ + j] * p[k * rows_ + i];
          q_[k * columns_ + j] += own_q[w][k * columns_ + j];
        }
      }
    }
    const Matrix average = Product(p, q_);
    for (size_t w = 0; w < ranks && keeps_ != Keeps::kNothing; ++w) {
      const Matrix sent = keeps_ == Keeps::kLessOwn ? Product(p, own_q[w]) : average;
      // The average is a sum of scaled gradients: a rank's share of it is one of `ranks`.
      const double share = keeps_ == Keeps::kLessOwn ? 1 : 1.0 / static_cast<double>(ranks);
      for (size_t i = 0; i < sent.size(); ++i) kept_[w][i] = corrected[w][i] - share * sent[i];
    }
    return average;
  }

  const Matrix& q() const { return q_; }
  const Matrix& kept(size_t rank) const { return kept_[rank]; }

 private:
  void GramSchmidt(Matrix* p) const {
    for (size_t k = 0; k < rank_; ++k) {
      double* const own = p->data() + k * rows_;
      for (size_t other = 0; other < k; ++other) {
        const double* const unit = p->data() + other * rows_;
        double along = 0;
        for (size_t i = 0; i < rows_; ++i) along += own[i] * unit[i];
        for (size_t i = 0; i < rows_; ++i) own[i] -= along * unit[i];
      }
      double squares = 0;
      for (size_t i = 0; i < rows_; ++i) squares += own[i] * own[i];
      for (size_t i = 0; i < rows_; ++i) own[i] /= std::sqrt(squares);
    }
  }

  Matrix Product(const Matrix& p, const Matrix& q) const {
    Matrix out(rows_ * columns_);
    for (size_t i = 0; i < rows_; ++i) {
      for (size_t j = 0; j < columns_; ++j) {
        for (size_t k = 0; k < rank_; ++k)
          out[i * columns_ + j] += p[k * rows_ + i] * q[k * columns_ + j];
      }
    }
    return out;
  }

  const size_t rows_, columns_, rank_;
  const Keeps keeps_;
  Matrix q_;
  std::vector<Matrix> kept_;  // by rank
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CODEC_POWERSGD_ORACLE_H_
