// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package interop holds no code, only tests of the library under clients that others
// wrote. It is a module of its own, so that nobody who uses the library gets them.
package interop
