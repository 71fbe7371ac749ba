// The order of the executor's calls: each runs at once, with the device's memory open, or is kept
// while a recording is on, as a CUDA graph keeps it.
#pragma once

#include <functional>
#include <vector>

namespace maskwatch::simt {

using Calls = std::vector<std::function<void()>>;

void enqueue(std::function<void()> call);
// What `work` enqueues, which does not run.
Calls record(const std::function<void()>& work);
bool is_recording();

}  // namespace maskwatch::simt
