// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package httpect_test

// raceEnabled tells that the race detector slows everything down.
const raceEnabled = false
