#include "vision/video/stream_address.h"

#include <doctest/doctest.h>

using namespace maskwatch;

TEST_CASE("stream_address: what hides passwords leaves other texts as they are") {
  for (const char* text : {"", "://", "a: b@c", "http://host/a@b", "http://host:80/a b@c",
                           "x:y@z://", "rtsp://me@host/", "http://host:80/x: refused (me@here)"})
    CHECK(vision::hide_passwords(text) == text);
  CHECK(vision::hide_passwords("'http://a:b@c' and rtsp://:d@e:5/f, udp://g:h@") ==
        "'http://a:***@c' and rtsp://:***@e:5/f, udp://g:***@");
}
