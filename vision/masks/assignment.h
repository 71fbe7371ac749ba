// The cheapest way to pair rows with columns (the assignment problem), by shortest augmenting
// paths: Kuhn, "The Hungarian method", 1955, in the form of Jonker and Volgenant, 1987.
#pragma once

#include <span>
#include <vector>

namespace maskwatch::vision {

// `costs` is [rows, columns], row-major, rows <= columns. The column of each row, all different, so
// that the sum of costs is least; of equal sums always the same one. Throws std::invalid_argument
// for another shape or a cost that is not finite.
std::vector<int> cheapest_assignment(std::span<const double> costs, int rows, int columns);

}  // namespace maskwatch::vision
