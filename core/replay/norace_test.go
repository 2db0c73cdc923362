// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package replay_test

// raceEnabled tells whether the race detector is on, which takes memory of its own.
const raceEnabled = false
