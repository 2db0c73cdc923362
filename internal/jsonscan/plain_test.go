// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jsonscan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-ect/ect/internal/jsonscan"
)

// TestTextEveryByte puts every byte at every place of a string, among neighbours that are
// near what is looked for, since several bytes are looked at together.
func TestTextEveryByte(t *testing.T) {
	for _, filler := range []byte{' ', '!', '#', '[', ']', '~', 0x7f, 'a'} {
		for length := range 26 {
			for at := range length {
				for b := range 256 {
					text := []byte(strings.Repeat(string(filler), length))
					text[at] = byte(b)
					sc := jsonscan.New(`"` + string(text) + `"`)
					got, err := sc.Text()
					want, wantErr := string(text), error(nil)
					switch {
					case b == '"':
						want = string(text[:at])
					case b < 0x20, b == '\\': // which escapes what may not be, or the end
						want, wantErr = "", jsonscan.ErrSyntax
					case b >= 0x80:
						want, wantErr = "", jsonscan.ErrUTF8
					}
					if got != want || !errors.Is(err, wantErr) {
						t.Fatalf("Text of %q = %q, %v; want %q, %v", text, got, err, want, wantErr)
					}
				}
			}
		}
	}
}

// TestMembersAlike: names that are alike in length and at both ends are told apart, and a
// name that comes twice is found whatever stands between.
func TestMembersAlike(t *testing.T) {
	names := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = "a" + string(rune('A'+i%26)) + string(rune('A'+i/26)) + "z"
		}
		return all
	}
	object := func(names []string) string { return `{"` + strings.Join(names, `":0,"`) + `":0}` }
	for n := 1; n < 60; n++ {
		all := names(n)
		if _, err := jsonscan.New(object(all)).Skip(); err != nil {
			t.Fatalf("Skip of %d names = %v", n, err)
		}
		for i := range all {
			if _, err := jsonscan.New(object(append(names(n), all[i]))).Skip(); !errors.Is(err, jsonscan.ErrDuplicate) {
				t.Fatalf("Skip of %d names and the %dth again = %v, want ErrDuplicate", n, i, err)
			}
		}
	}
}
