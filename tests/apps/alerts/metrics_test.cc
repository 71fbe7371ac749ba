// Figures as Prometheus reads them: every value below its HELP and TYPE, and none twice.
#include "apps/alerts/metrics.h"

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

using namespace maskwatch;

TEST_CASE("metrics have a type each and hold what happened") {
  apps::WatchState state{5, 2, 1, 1, 17, "lost: no answer"};
  apps::VideoFigures video;
  video.captured = 100;
  video.dropped = 3;
  apps::Latency latency;
  for (int i = 0; i < 10; ++i) latency.add(.02);
  video.delays.emplace_back("total", latency);
  apps::DeliveryFigures mqtt;
  mqtt.taken = 9;
  mqtt.delivered = 6;
  mqtt.dropped = 1;
  const std::string text = apps::metrics_text({{"", state, video}}, {{"mqtt", mqtt}}, 4);
  const std::string two = apps::metrics_text({{"door", state, video}, {"hall", state, {}}}, {}, 0);
  for (const char* line : {"maskwatch_people{source=\"hall\",wears=\"mask\"} 2\n",
                           "maskwatch_frames_captured_total{source=\"door\"} 100\n",
                           "maskwatch_frames_captured_total{source=\"hall\"} 0\n"}) {
    CAPTURE(line);
    CHECK(two.find(line) != std::string::npos);
  }
  for (const char* line :
       {"maskwatch_people{wears=\"mask\"} 2\n", "maskwatch_people{wears=\"unknown\"} 1\n",
        "maskwatch_people_seen_total 17\n", "maskwatch_source_up 0\n",
        "maskwatch_frames_captured_total 100\n", "maskwatch_frames_dropped_total 3\n",
        "maskwatch_delay_seconds_count{stage=\"total\"} 10\n",
        "maskwatch_events_delivered_total{sink=\"mqtt\"} 6\n",
        "maskwatch_events_waiting{sink=\"mqtt\"} 2\n", "maskwatch_sink_up{sink=\"mqtt\"} 0\n",
        "maskwatch_viewers 4\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  std::istringstream lines(text);
  std::set<std::string> families, values;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(families.insert(family).second);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(line.substr(7, line.find(' ', 7) - 7) == family);
    } else {
      CHECK(line.starts_with(family));
      CHECK(values.insert(line.substr(0, line.rfind(' '))).second);
    }
  }
}
