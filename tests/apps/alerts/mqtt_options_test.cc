// Addresses of brokers, and what is refused.
#include "apps/alerts/mqtt_options.h"

#include <doctest/doctest.h>

#include <string>

#include "apps/common/program.h"

using namespace maskwatch;
using apps::parse_mqtt_address;

TEST_CASE("an address of a broker is taken apart") {
  const auto plain = parse_mqtt_address("mqtt://broker/home/door");
  CHECK(!plain.tls);
  CHECK(plain.user.empty());
  CHECK(plain.host == "broker");
  CHECK(plain.port == 1883);
  CHECK(plain.topic == "home/door");
  const auto full = parse_mqtt_address("mqtts://a%40b@[::1]:8884/caf%c3%a9/1/");
  CHECK(full.tls);
  CHECK(full.user == "a@b");
  CHECK(full.host == "::1");
  CHECK(full.port == 8884);
  CHECK(full.topic == "caf\xc3\xa9/1");
  CHECK(full.text() == "mqtts://[::1]:8884/caf\xc3\xa9/1");
  CHECK(parse_mqtt_address("mqtts://h/t").port == 8883);
}

TEST_CASE("what is not an address of a broker is refused, and no password is shown") {
  for (const char* wrong : {"",
                            "mqtt:",
                            "mqtt://",
                            "mqtt:///t",
                            "mqtt://h",
                            "mqtt://h/",
                            "mqtt://h:/t",
                            "mqtt://h:0/t",
                            "mqtt://h:65536/t",
                            "mqtt://h:1x/t",
                            "mqtt://[::1/t",
                            "mqtt://[::1]x/t",
                            "mqtt://h/a/+/b",
                            "mqtt://h/#",
                            "mqtt://h/$SYS",
                            "mqtt://h/%",
                            "mqtt://h/%4",
                            "mqtt://h/%00",
                            "mqtt://h/%ff",
                            "mqtt://h/a\nb",
                            "mqtt://h/a%c2%85",
                            "mqtt://h/a%ef%b7%90",
                            "mqtt://h/a%ef%bf%bf",
                            "mqtt://us%00er@h/t",
                            "mqtt://us%0aer@h/t",
                            "mqtt://us%ffer@h/t",
                            "tcp://h/t"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS(parse_mqtt_address(wrong), apps::UsageError);
  }
  CHECK_THROWS_AS(parse_mqtt_address("mqtt://h/" + std::string(1001, 'a')), apps::UsageError);
  for (const char* leak : {"mqtt://me:s3cret@h/t", "mqtt://:s3cret@h/t", "mqtt://me:s3/cret@h/t",
                           "http://me:s3cret@h/t", "me:s3cret@h"})
    try {
      parse_mqtt_address(leak);
      FAIL("taken: " << leak);
    } catch (const apps::UsageError& fault) {
      CAPTURE(fault.what());
      if (std::string(leak).find("://") != std::string::npos)
        CHECK(std::string(fault.what()).find("cret") == std::string::npos);
    }
}
