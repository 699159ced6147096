/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon's tests start from: a fresh folder, a manager without a bus, a VM's spec. */
#pragma once

#include "daemon/manager.h"

struct scene {
	char folder[64], state[96], runtime[96], networkd[96], kernel[96];
	sd_event *event;
	struct manager *manager;
};

/* A scene is a cmocka fixture: set-up makes the folder and the manager, tear-down removes them. */
int scene_set_up(void **state);
int scene_tear_down(void **state);

/* As a restart of hvd. */
void scene_restart(struct scene *scene);
void scene_stop(struct scene *scene);

/* Spec of a VM that this host would take; schema_clear() frees what vm_define() leaves. */
void scene_spec(const struct scene *scene, const char *name, struct vm_config *ret);

/* Define it; fails the test when that does not work. */
struct vm *scene_define(struct scene *scene, const char *name);

/* A file of the scene's folder. */
void scene_path(const struct scene *scene, const char *name, char path[static 256]);
void scene_write(const struct scene *scene, const char *name, const char *text);
bool scene_exists(const struct scene *scene, const char *name);
