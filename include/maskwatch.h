/* The C interface: finds the faces of an image and says of each whether it wears a mask. C99, also
 * usable from C++ and, through a foreign function interface, from other languages.
 *
 *   maskwatch_detector* detector = maskwatch_open(NULL);
 *   const maskwatch_face* faces;
 *   size_t count;
 *   if (maskwatch_detect_file(detector, bytes, size, &faces, &count) == MASKWATCH_OK) ...
 *   maskwatch_close(detector);
 *
 * No exception leaves these functions. What fails says so by its result, and maskwatch_error() says
 * why. Threads: a detector is for one thread at a time; different detectors may be used by
 * different threads at once. */
#ifndef MASKWATCH_H
#define MASKWATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct maskwatch_detector maskwatch_detector;

typedef enum maskwatch_status {
  MASKWATCH_OK = 0,
  MASKWATCH_BAD_ARGUMENT = 1, /* what no detector can do: a null pointer, an empty image */
  /* A file or its contents (missing, damaged, of another kind), or a device that cannot be had or
   * has too little memory. */
  MASKWATCH_BAD_FILE = 2,
  MASKWATCH_FAILED = 3 /* all else: memory is used up */
} maskwatch_status;

typedef enum maskwatch_meaning {
  MASKWATCH_MASK = 0,
  MASKWATCH_NO_MASK = 1,
  MASKWATCH_WORN_WRONGLY = 2,
  MASKWATCH_OTHER = 3
} maskwatch_meaning;

/* Strings are UTF-8 and need not live longer than maskwatch_open(). */
typedef struct maskwatch_options {
  const char* model;               /* path; NULL: the model that ships */
  const char* face_detector;       /* "ours", "haar", "ssd", "none", a path; NULL: "ours" */
  const void* model_bytes;         /* contents of the model file; NULL: `model` counts */
  size_t model_size;               /* bytes */
  const void* face_detector_bytes; /* likewise */
  size_t face_detector_size;
  float confidence; /* how sure a face must be, 0 to 1 */
  int threads;      /* of the whole process; 0: as they are */
  /* Where networks run: "cpu", "cuda" or "cuda:N" (a GPU), "auto" (a GPU if one can be had); NULL:
   * "cpu". Faces by "haar" are found on the CPU. */
  const char* device;
} maskwatch_options;

typedef struct maskwatch_face {
  float x, y, width, height;  /* pixels of the image: left and top edge, size */
  float score;                /* of the face detector: higher is surer */
  int label;                  /* index of the likeliest label of the likeliest meaning */
  maskwatch_meaning meaning;  /* of that label */
  float probability;          /* of that meaning */
  const char* label_name;     /* "with_mask", as the model names it */
  const float* probabilities; /* of all maskwatch_label_count() labels */
} maskwatch_face;

/* Of the library: "major.minor.patch" */
const char* maskwatch_version(void);

/* Why the last call of this thread that failed did; valid until the next one that does. Never NULL;
 * "" where none has failed. */
const char* maskwatch_error(void);

/* What maskwatch_open(NULL) takes: a confidence of 0.5, and the models that ship. */
maskwatch_options maskwatch_default_options(void);

/* NULL if it fails. `options` may be NULL. */
maskwatch_detector* maskwatch_open(const maskwatch_options* options);

/* Where its networks run: "cpu" or "cuda:N"; "" for NULL. Valid until the detector is closed. */
const char* maskwatch_device(const maskwatch_detector* detector);

/* NULL is allowed. */
void maskwatch_close(maskwatch_detector* detector);

size_t maskwatch_label_count(const maskwatch_detector* detector);
/* NULL for an index that has no label. Valid until the detector is closed. */
const char* maskwatch_label(const maskwatch_detector* detector, size_t index);

/* The faces of an image, surest first: rows of R, G, B bytes, each row `stride` bytes after the one
 * before (3 * width where they touch). `*faces` and what it points to belong to the detector and
 * are valid until it is used again or closed. Nothing is written to `*faces` and `*count` unless
 * the result is MASKWATCH_OK. */
maskwatch_status maskwatch_detect_rgb(maskwatch_detector* detector, const uint8_t* pixels,
                                      int width, int height, size_t stride,
                                      const maskwatch_face** faces, size_t* count);

/* The same for the contents of a picture file, JPEG or another that vision/image/image.h names. */
maskwatch_status maskwatch_detect_file(maskwatch_detector* detector, const void* bytes, size_t size,
                                       const maskwatch_face** faces, size_t* count);

#ifdef __cplusplus
}
#endif

#endif
