#include "apps/live/event_sinks.h"

#include <algorithm>

#include "apps/alerts/live_server.h"
#include "apps/alerts/mqtt_sink.h"
#include "apps/alerts/webhook_sink.h"
#include "apps/live/event_log.h"
#include "vision/masks/video_panel.h"

namespace maskwatch::apps {

using vision::LabelMeaning;

EventSinks::EventSinks(const VideoOptions& options, const std::string& description,
                       std::vector<std::string> labels, std::vector<LabelMeaning> meanings)
    : labels_(std::move(labels)), meanings_(std::move(meanings)) {
  if (!options.events.empty())
    sinks_.emplace_back("events", std::make_unique<EventLog>(options.events));
  if (options.sinks.mqtt) {
    MqttOptions mqtt = *options.sinks.mqtt;
    mqtt.counts_worn_wrongly = vision::knows(meanings_, LabelMeaning::worn_wrongly);
    sinks_.emplace_back("mqtt", std::make_unique<MqttSink>(mqtt));
  }
  if (options.sinks.serve) {
    ServeOptions serve = *options.sinks.serve;
    serve.description = description;
    sinks_.emplace_back("serve", std::make_unique<LiveServer>(serve));
  }
  if (options.sinks.webhook)
    sinks_.emplace_back("webhook", std::make_unique<WebhookSink>(*options.sinks.webhook));
}

void EventSinks::write(const std::vector<vision::TrackEvent>& events) {
  if (sinks_.empty()) return;
  for (const vision::TrackEvent& event : events) {
    const std::string line = event_line(event, labels_, utc_now());
    people_seen_ += event.change == vision::TrackChange::appeared;
    for (const auto& [name, sink] : sinks_) sink->write(line);
  }
}

void EventSinks::update(const std::vector<vision::Track>& tracks, const std::string& trouble) {
  if (sinks_.empty()) return;
  vision::PanelFigures in_view;
  vision::count_people(in_view, tracks, meanings_);
  const WatchState state{in_view.people,         in_view.count.masked,
                         in_view.count.unmasked, in_view.count.worn_wrongly,
                         people_seen_,           trouble};
  for (const auto& [name, sink] : sinks_) sink->update(state);
}

void EventSinks::measure(VideoFigures video) {
  video.sinks = figures();
  for (const auto& [name, sink] : sinks_) sink->measure(video);
}

bool EventSinks::wants_picture() {
  return std::any_of(sinks_.begin(), sinks_.end(),
                     [](const auto& sink) { return sink.second->wants_picture(); });
}

void EventSinks::show(const std::shared_ptr<const vision::Image>& picture) {
  for (const auto& [name, sink] : sinks_) sink->show(picture);
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

std::vector<std::pair<std::string, DeliveryFigures>> EventSinks::figures() const {
  std::vector<std::pair<std::string, DeliveryFigures>> out;
  for (const auto& [name, sink] : sinks_)
    if (auto figures = sink->figures()) out.emplace_back(name, std::move(*figures));
  return out;
}

}  // namespace maskwatch::apps
