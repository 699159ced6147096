/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 document, made from the operations and field tables. */
#pragma once

#include <jansson.h>

/* NULL when out of memory. */
json_t *openapi_document(void);
