#include "apps/alerts/event_sink.h"

namespace maskwatch::apps {

Json state_json(const WatchState& state) {
  return Json::object({{"people", state.people},
                       {"mask", state.mask},
                       {"no_mask", state.no_mask},
                       {"worn_wrongly", state.worn_wrongly},
                       {"people_seen", state.people_seen},
                       {"source", state.trouble.empty() ? "ok" : state.trouble}});
}

}  // namespace maskwatch::apps
