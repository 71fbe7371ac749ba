#include "apps/live/event_sinks.h"

#include <algorithm>

#include "apps/alerts/live_server.h"
#include "apps/alerts/mqtt_sink.h"
#include "apps/alerts/webhook_sink.h"
#include "apps/live/event_log.h"
#include "vision/masks/video_panel.h"

namespace maskwatch::apps {

using vision::LabelMeaning;

EventSinks::EventSinks(const VideoOptions& options, const std::vector<WatchedName>& sources,
                       std::vector<std::string> labels, std::vector<LabelMeaning> meanings)
    : sources_(sources),
      labels_(std::move(labels)),
      meanings_(std::move(meanings)),
      people_seen_(sources.size()) {
  if (!options.events.empty())
    sinks_.emplace_back("events", std::make_unique<EventLog>(options.events));
  if (options.sinks.mqtt) {
    MqttOptions mqtt = *options.sinks.mqtt;
    mqtt.counts_worn_wrongly = vision::knows(meanings_, LabelMeaning::worn_wrongly);
    mqtt.sources.clear();
    for (const WatchedName& source : sources) mqtt.sources.push_back(source.name);
    sinks_.emplace_back("mqtt", std::make_unique<MqttSink>(mqtt));
  }
  if (options.sinks.serve) {
    ServeOptions serve = *options.sinks.serve;
    serve.sources = sources;
    sinks_.emplace_back("serve", std::make_unique<LiveServer>(serve));
  }
  if (options.sinks.webhook)
    sinks_.emplace_back("webhook", std::make_unique<WebhookSink>(*options.sinks.webhook));
}

void EventSinks::write(int source, const std::vector<vision::TrackEvent>& events) {
  if (sinks_.empty()) return;
  const auto i = static_cast<std::size_t>(source);
  for (const vision::TrackEvent& event : events) {
    const std::string line = event_line(event, labels_, utc_now(), sources_[i].name);
    people_seen_[i] += event.change == vision::TrackChange::appeared;
    for (const auto& [name, sink] : sinks_) sink->write(source, line);
  }
}

void EventSinks::update(int source, const std::vector<vision::Track>& tracks,
                        const std::string& trouble) {
  if (sinks_.empty()) return;
  vision::PanelFigures in_view;
  vision::count_people(in_view, tracks, meanings_);
  const WatchState state{in_view.people,
                         in_view.count.masked,
                         in_view.count.unmasked,
                         in_view.count.worn_wrongly,
                         people_seen_[static_cast<std::size_t>(source)],
                         trouble};
  for (const auto& [name, sink] : sinks_) sink->update(source, state);
}

void EventSinks::measure(int source, const VideoFigures& video) {
  for (const auto& [name, sink] : sinks_) sink->measure(source, video);
}

void EventSinks::measure_sinks() {
  const SinkFigures all = figures();
  for (const auto& [name, sink] : sinks_) sink->measure_sinks(all);
}

bool EventSinks::wants_picture(int source) {
  return std::any_of(sinks_.begin(), sinks_.end(),
                     [source](const auto& sink) { return sink.second->wants_picture(source); });
}

void EventSinks::show(int source, const std::shared_ptr<const vision::Image>& picture) {
  for (const auto& [name, sink] : sinks_) sink->show(source, picture);
}

bool EventSinks::wants_overview() {
  return std::any_of(sinks_.begin(), sinks_.end(),
                     [](const auto& sink) { return sink.second->wants_overview(); });
}

void EventSinks::show_overview(const std::shared_ptr<const vision::Image>& picture) {
  for (const auto& [name, sink] : sinks_) sink->show_overview(picture);
}

void EventSinks::finish() {
  for (const auto& [name, sink] : sinks_) sink->close();
  for (const auto& [name, sink] : sinks_) sink->finish();
}

std::exception_ptr EventSinks::take_error() {
  for (const auto& [name, sink] : sinks_)
    if (auto error = sink->take_error()) return error;
  return nullptr;
}

std::vector<std::string> EventSinks::take_notes() {
  std::vector<std::string> out;
  for (const auto& [name, sink] : sinks_)
    for (std::string& note : sink->take_notes()) out.push_back(std::move(note));
  return out;
}

SinkFigures EventSinks::figures() const {
  SinkFigures out;
  for (const auto& [name, sink] : sinks_)
    if (auto figures = sink->figures()) out.emplace_back(name, std::move(*figures));
  return out;
}

Json EventSinks::stats() const {
  Json out = Json::object();
  for (const auto& [name, one] : figures()) out[name] = figures_json(one);
  return out;
}

}  // namespace maskwatch::apps
