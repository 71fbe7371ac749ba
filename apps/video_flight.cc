#include "apps/video_flight.h"

namespace apps {

std::shared_ptr<Flight> FlightPool::take() {
  std::unique_ptr<Flight> flight;
  {
    const std::lock_guard lock(store_->mutex);
    if (!store_->free.empty()) {
      flight = std::move(store_->free.back());
      store_->free.pop_back();
    }
  }
  if (!flight) flight = std::make_unique<Flight>();
  flight->due = flight->ready = false;
  flight->faces.clear();
  flight->tracks.clear();
  return {flight.release(), [store = store_](Flight* done) {
            std::unique_ptr<Flight> back(done);
            const std::lock_guard lock(store->mutex);
            store->free.push_back(std::move(back));
          }};
}

}  // namespace apps
