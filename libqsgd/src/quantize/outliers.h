/* Elements so much larger than the others that these would drown in the steps that they ask for
 * (ENCODER.md section 3): they are taken out before any scale. Stage: elements -> outliers. */
#ifndef QSGD_QUANTIZE_OUTLIERS_H
#define QSGD_QUANTIZE_OUTLIERS_H

#include "grid/outliers.h"
#include "quantize/quantizer.h"
#include "quantize/source.h"

/* True if a run of elements may have outliers, where a tensor's are looked for. */
static inline bool outliers_are_sought(const struct quantizer *q, const struct source *source) {
    return q->finds_outliers && source->given == NULL;
}

/* False if a run of elements x[len], the largest magnitude of which has these bits, has none for
 * sure. The run starts as below. */
bool outliers_suspected(const struct quantizer *q, const float *x, uint64_t len, uint32_t largest);

/* Elements [first, first + len) of the tensor without their outliers, which are 0 there: a pointer
 * into the source, or to scratch->elements. *found, if not NULL, receives those, counted from
 * `first`. The run starts where a block of outliers starts, and holds no more than a chunk's;
 * they are sought. */
const float *outliers_read_without(const struct quantizer *q, const struct source *source,
                                   uint64_t first, uint64_t len, struct quantize_scratch *scratch,
                                   struct outliers *found);

#endif
