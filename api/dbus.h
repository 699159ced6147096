/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D-Bus walker: the values of the field table as a{sv}.
 *
 * Types: STR, ENUM, UUID, MAC, SIZE as text on input, 's' on output but SIZE and U64 't', U32 'u',
 * BOOL 'b', STRUCT a{sv}, LIST aa{sv}. Input becomes JSON and goes through api/json.h, so that every front
 * end has one validation.
 */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "api/schema.h"

/* Append obj as a{sv}; unset members are left out. Returns 0 or -errno. */
int dbus_append_obj(sd_bus_message *m, const struct schema *schema, const void *obj);

/* Append one field without a variant around it: a property's value. Unset text is "". */
int dbus_append_field(sd_bus_message *m, const struct field *field, const void *obj);
const char *dbus_field_signature(const struct field *field);

/*
 * Read an a{sv} (nested a{sv}, aa{sv}, av, as, basic types) into a JSON object. At most
 * JSON_DEPTH_MAX deep, counting variants; duplicate keys, structs and descriptors are refused.
 */
int dbus_read_json(sd_bus_message *m, json_t **ret, struct hvd_error *err);

/*
 * Append any JSON value as a variant: object a{sv}, array av, integer t (x when negative), string
 * s, real d, boolean b. null members of objects are left out; null elsewhere is -EINVAL.
 */
int dbus_append_json(sd_bus_message *m, const json_t *value);

/* Append a JSON object as a{sv} without a variant around it: a method's answer. */
int dbus_append_json_object(sd_bus_message *m, const json_t *object);
