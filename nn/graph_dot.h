// A drawing of a graph, for people.
#pragma once

#include <string>

#include "nn/graph.h"

namespace maskwatch::nn {

// In the language of Graphviz: `dot -Tsvg` draws it. A box for each operation, with the shape of
// what it makes and its multiply-adds for one picture; arrows go to what reads that. Outputs have a
// double frame.
std::string to_dot(const Graph& graph, const std::string& title);

}  // namespace maskwatch::nn
