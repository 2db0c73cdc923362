// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package demo is what the examples have in common, and what none of them is about: keys,
// trust files, where traces go, and printing what was recorded and what was refused. What a
// service believes and whom it tells stands in each example itself.
package demo
