// --serve and what goes with it.
#pragma once

#include <string>
#include <vector>

#include "apps/alerts/http_server.h"

namespace maskwatch::apps {

struct ServeOptions {
  ListenAddress address;
  std::string token;  // empty: everybody may look who can reach the address
  std::vector<WatchedName> sources;
};

}  // namespace maskwatch::apps
