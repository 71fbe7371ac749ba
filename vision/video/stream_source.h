// Cameras, files, network streams and lavfi graphs; one that is live and lost is connected again.
#pragma once

#include <memory>

#include "vision/video/stream_address.h"
#include "vision/video/video_source.h"

namespace maskwatch::vision {

// As VideoSource::open; one that is lost is connected again.
std::unique_ptr<VideoSource> open_stream(const StreamAddress& address,
                                         const VideoSourceOptions& options);

}  // namespace maskwatch::vision
