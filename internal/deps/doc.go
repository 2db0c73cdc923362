// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package deps holds no code, only the test that says which package may import which.
// An arrow that points the wrong way fails with the reason why it is banned. The same
// arrows stand in .golangci.yml, where an editor shows them; the test also follows
// them through other packages, and judges the code that ships, not its tests. Nested
// modules are seen by the linter alone.
package deps
