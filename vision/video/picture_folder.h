// A folder of pictures as a video: the files that load_image may read, in the natural order of
// their names (frame2 before frame10), at a fixed rate.
#pragma once

#include <memory>
#include <string>

#include "vision/video/video_source.h"

namespace maskwatch::vision {

// Whether `a` comes before `b` when runs of digits count as numbers.
bool natural_less(const std::string& a, const std::string& b);

// As VideoSource::open. Pictures that cannot be read are left out, and message() names the latest.
std::unique_ptr<VideoSource> open_picture_folder(const std::string& folder,
                                                 const VideoSourceOptions& options);

}  // namespace maskwatch::vision
