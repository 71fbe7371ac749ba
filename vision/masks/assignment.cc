#include "vision/masks/assignment.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

constexpr int kNone = -1;

// Prices of rows and columns such that no cost is below the sum of its two prices, and a pairing of
// the rows so far in which every cost equals that sum.
class Assignment {
 public:
  Assignment(std::span<const double> costs, int rows, int columns)
      : costs_(costs),
        columns_(columns),
        row_price_(static_cast<std::size_t>(rows)),
        column_price_(static_cast<std::size_t>(columns)),
        row_of_(static_cast<std::size_t>(columns), kNone) {}

  // Pairs one more row, along the path that costs least.
  void add(int row) {
    start_search(row);
    int reached = kNone;
    for (int at = row; at != kNone; at = row_of_[index(reached)]) reached = step(at);
    pay();
    for (int column = reached; column != kNone;) {
      const int from = came_from_[index(column)];
      const int before = column_of(from, row);
      row_of_[index(column)] = from;
      column = before;
    }
  }

  std::vector<int> columns_of_rows() const {
    std::vector<int> out(row_price_.size(), kNone);
    for (int column = 0; column < columns_; ++column)
      if (row_of_[index(column)] != kNone) out[index(row_of_[index(column)])] = column;
    return out;
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  void start_search(int row) {
    root_ = row;
    travelled_ = 0;
    distance_.assign(column_price_.size(), std::numeric_limits<double>::infinity());
    came_from_.assign(column_price_.size(), kNone);
    done_.assign(column_price_.size(), false);
    last_row_columns_.clear();
  }

  // From `row`, which lies at distance travelled_, on to the nearest column that is not done.
  int step(int row) {
    int nearest = kNone;
    for (int column = 0; column < columns_; ++column) {
      const std::size_t c = index(column);
      if (done_[c]) continue;
      const double cost = costs_[index(row) * column_price_.size() + c];
      const double way = travelled_ + cost - row_price_[index(row)] - column_price_[c];
      if (way < distance_[c]) {
        distance_[c] = way;
        came_from_[c] = row;
      }
      if (nearest == kNone || distance_[c] < distance_[index(nearest)]) nearest = column;
    }
    travelled_ = distance_[index(nearest)];
    done_[index(nearest)] = true;
    last_row_columns_.push_back(nearest);
    return nearest;
  }

  // Prices after the search: whatever lies nearer than its end moves by the difference.
  void pay() {
    row_price_[index(root_)] += travelled_;
    for (const int column : last_row_columns_) {
      const double gap = travelled_ - distance_[index(column)];
      column_price_[index(column)] -= gap;
      if (row_of_[index(column)] != kNone) row_price_[index(row_of_[index(column)])] += gap;
    }
  }

  // The column that `row` was paired with before this search; none for the new row.
  int column_of(int row, int new_row) const {
    if (row == new_row) return kNone;
    for (const int column : last_row_columns_)
      if (row_of_[index(column)] == row) return column;
    return kNone;
  }

  std::span<const double> costs_;
  int columns_;
  std::vector<double> row_price_, column_price_;
  std::vector<int> row_of_;  // [columns]

  int root_ = kNone;
  double travelled_ = 0;
  std::vector<double> distance_;  // [columns], from the root
  std::vector<int> came_from_;    // [columns], the row before
  std::vector<bool> done_;        // [columns]
  std::vector<int> last_row_columns_;
};

}  // namespace

std::vector<int> cheapest_assignment(std::span<const double> costs, int rows, int columns) {
  if (rows < 0 || columns < rows ||
      costs.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns))
    throw std::invalid_argument(fmt::format("cheapest_assignment: {} costs for {} rows, {} columns",
                                            costs.size(), rows, columns));
  for (const double cost : costs)
    if (!std::isfinite(cost))
      throw std::invalid_argument("cheapest_assignment: a cost is not finite");
  Assignment assignment(costs, rows, columns);
  for (int row = 0; row < rows; ++row) assignment.add(row);
  return assignment.columns_of_rows();
}

}  // namespace maskwatch::vision
