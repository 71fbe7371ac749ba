// --webhook and what goes with it.
#pragma once

#include <string>

namespace maskwatch::apps {

struct WebhookOptions {
  std::string url;      // http:// or https://
  std::string token;    // sent as "Authorization: Bearer"; empty: it is not
  std::string secret;   // of the signature; empty: there is none
  std::string ca_file;  // https: PEM; empty: the authorities that the system trusts
};

}  // namespace maskwatch::apps
