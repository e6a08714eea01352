/* Decodes rANS by searching frequencies, which takes a 256th of the largest tables' memory: for
 * chunks that are short, and have many tables. */
#ifndef QSGD_CODES_RANS_SEARCH_H
#define QSGD_CODES_RANS_SEARCH_H

#include "codes/rans/plan.h"

/* Builds what the search needs in job->tables * RANS_SEARCH_BYTES. */
void rans_search_build(const struct rans_job *job, void *tables);

/* As the kernel rans_decode has it, with the tables of rans_search_build. */
void rans_search_decode(const struct rans_job *job, const void *tables, struct rans_stream *stream,
                        size_t to, uint8_t *tokens);

#endif
