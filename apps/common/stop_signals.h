// Programs that are told to stop (Ctrl-C, SIGTERM, SIGHUP) finish what they have begun.
#pragma once

#include <atomic>

namespace maskwatch::apps {

// From now on a first signal sets what this returns, and a second one, half a second or more later,
// ends the program at once. Signals that were ignored (nohup) still are.
std::atomic<bool>& stop_on_signals();

}  // namespace maskwatch::apps
