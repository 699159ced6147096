/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML walker over the field table, in libvirt's dialect: <domain type='kvm'>, <disk>, <interface>.
 * Documents are parsed without document type, entity expansion and network access, to limited size
 * and depth (libxml2's own 256 levels; no walk here goes deeper than the tables do).
 *
 * struct field.xml is a place: steps from the parent's element, in a few words of XPath.
 *
 *	os/kernel             element; its text is the value. A BOOL is whether it is there
 *	source/@file          attribute; a BOOL is yes or no
 *	.                     the parent's element itself
 *	../features/acpi      from the element that the parent's is in
 *	rng[@model=virtio]    … that has this attribute; it is written too
 *	disk[@device?=disk]   … that has this attribute, or none of the name
 *	type[.=hvm]           … of this text
 *	hvd:autostart         … in hvd's namespace, for what libvirt has no place for
 *	ip/@address/@prefix   two attributes, both there, joined by '/' in the value
 *	A|B                   either; the first is written
 *
 * STRUCT: the element that the places of its members start from. LIST: the element that holds the
 * items, whose own element is schema.xml of the item. SIZE elements have a unit attribute as
 * libvirt has it (KiB when missing).
 *
 * api/xml_rules.c lists what of libvirt's dialect is accepted beside the fields, or not and why.
 */
#pragma once

#include "api/schema.h"
#include "api/vm_schema.h"

#define XML_SIZE_MAX      (1024 * 1024)
#define XML_HVD_NAMESPACE "urn:hvd:1"

/*
 * obj is uninitialised. Elements that hvd knows and cannot honour, and unknown ones, are errors
 * that name the line (-EINVAL; -EBADMSG when it is not well-formed, -EFBIG when it is too large).
 * The object is checked as one from JSON is. obj is zero on failure.
 */
int xml_to_obj(const struct schema *schema, const char *text, size_t len, void *obj,
	       struct hvd_error *err);

/*
 * The same, and tell what of the document has been ignored, since it makes no difference to the guest:
 * the caller has import_report_schema clear it. It is empty on failure.
 */
int xml_import(const struct schema *schema, const char *text, size_t len, void *obj,
	       struct import_report *report, struct hvd_error *err);

/*
 * A whole document of an object that schema_check() accepts, indented, UTF-8, heap memory in *ret.
 * Unset fields are left out, defaults are not: a stored definition means the same when a later
 * release has other defaults. 0 or -ENOMEM.
 */
int xml_from_obj(const struct schema *schema, const void *obj, char **ret);
