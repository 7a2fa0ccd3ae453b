/* Reads a store's file without the engine: is it one, is it whole, do its pages hang together?
 */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

/*
 * Inside store/ only. LMDB believes its file: a page number past the end is a
 * SIGBUS, a wrong offset a read outside the map. So the file is walked before
 * LMDB opens it, with every number held against the file's length:
 * both meta pages, then from the newer one the branch pages of every tree, and with
 * `leaves` also every leaf and overflow page.
 *
 * What this cannot see: bits flipped inside keys and values, keys out of order, pages that
 * are used and on the list of free ones.
 */
enum rc store_page_check(struct bytes file, bool leaves);
