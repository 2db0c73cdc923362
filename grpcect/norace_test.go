// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package grpcect_test

// raceEnabled tells whether the race detector is on, which takes time and memory of its
// own.
const raceEnabled = false
