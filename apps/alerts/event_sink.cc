#include "apps/alerts/event_sink.h"

#include <cmath>

namespace maskwatch::apps {
namespace {

double ms(double seconds) { return std::round(seconds * 1e6) / 1e3; }

}  // namespace

Json latency_json(const Latency& latency) {
  return Json::object({{"median", ms(latency.median())},
                       {"p99", ms(latency.quantile(.99))},
                       {"max", ms(latency.longest())}});
}

Json state_json(const WatchState& state) {
  return Json::object({{"people", state.people},
                       {"mask", state.mask},
                       {"no_mask", state.no_mask},
                       {"worn_wrongly", state.worn_wrongly},
                       {"people_seen", state.people_seen},
                       {"source", state.trouble.empty() ? "ok" : state.trouble}});
}

Json figures_json(const DeliveryFigures& f) {
  return Json::object({{"events", f.taken},
                       {"delivered", f.delivered},
                       {"dropped", f.dropped},
                       {"waiting", f.waiting()},
                       {"reached", f.reached},
                       {"outages", f.outages},
                       {"delay_ms", latency_json(f.delay)}});
}

}  // namespace maskwatch::apps
