// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package section says how large a header section is, of HTTP or of gRPC metadata, and
// what still fits one (profile 9.2).
package section

// lineOverhead is what a line costs beside its name and value: colon, space, CR, LF.
const lineOverhead = 4

// Size returns the bytes of a section: names, values and four a line.
func Size(fields map[string][]string) (n int) {
	for name, values := range fields {
		for _, v := range values {
			n += len(name) + len(v) + lineOverhead
		}
	}
	return n
}

// Fit returns how many of the tokens, from the first on, fit a section that has size bytes
// already and may have limit, each in a line of the name.
func Fit(tokens []string, name string, size, limit int) int {
	for n, t := range tokens {
		if size += len(name) + len(t) + lineOverhead; size > limit {
			return n
		}
	}
	return len(tokens)
}
