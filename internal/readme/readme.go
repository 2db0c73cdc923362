// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package readme holds the code that the README shows against tested code, so that what it
// shows is what was run.
package readme

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Check fails unless a Markdown file holds every region of a Go file: the lines between
// "// readme: name" and "// end" in the body of a function, with one tab less. There must be
// as many as regions says.
func Check(t testing.TB, markdown, source string, regions int) {
	t.Helper()
	page, err := os.ReadFile(markdown) //nolint:gosec // a test names it
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(source) //nolint:gosec // a test names it
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for part := range strings.SplitSeq(string(code), "\t// readme: ") {
		name, rest, ok := strings.Cut(part, "\n")
		region, _, ended := strings.Cut(rest, "\t// end\n")
		if !ok || !ended || strings.Contains(name, " ") {
			continue
		}
		found++
		var want bytes.Buffer
		for line := range strings.Lines(region) {
			want.WriteString(strings.TrimPrefix(line, "\t"))
		}
		if !bytes.Contains(page, want.Bytes()) {
			t.Errorf("%s does not hold the region %q of %s:\n%s", markdown, name, source, &want)
		}
	}
	if found != regions {
		t.Errorf("%d regions in %s, want %d", found, source, regions)
	}
}
