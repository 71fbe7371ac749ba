// The pages of --serve: each a whole, without anything from elsewhere.
#pragma once

namespace maskwatch::apps {

// The video, the counts and the latest events.
extern const char* const kLivePage;
// Asks for the token.
extern const char* const kTokenPage;

}  // namespace maskwatch::apps
