// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/go-ect/ect/internal/related"
)

// BenchmarkRead shows what finding the end of a body costs beside passing it on.
func BenchmarkRead(b *testing.B) {
	before, after, err := (&related.Head{Tokens: []string{"a.b.c"}}).Frame(boundary)
	if err != nil {
		b.Fatal(err)
	}
	for name, piece := range map[string]string{"text": "0123456789abcd\r\n", "line ends": "\r\n", "nearly delimiters": "\r\n--the-boundar"} {
		body := []byte(strings.Repeat(piece, 8<<20/len(piece)))
		text := []byte(before + string(body) + after)
		run := func(how string, open func() (io.Reader, error)) {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r, err := open()
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 32<<10)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("none", func() (io.Reader, error) { return bytes.NewReader(body), nil })
		run("related", func() (io.Reader, error) { return related.NewReader(bytes.NewReader(text), boundary, limits) })
	}
}
