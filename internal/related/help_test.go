// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-ect/ect/internal/related"
)

// limits are small, so that tests reach them.
var limits = related.Limits{TokenBytes: 64, Tokens: 4, TotalBytes: 200}

const boundary = "the-boundary"

// message is one that was read whole.
type message struct {
	related.Head
	body string
}

// read reads a message whole. What fails gives nothing but the error.
func read(src io.Reader, boundary string, l related.Limits) (*message, error) {
	r, err := related.NewReader(src, boundary, l)
	if err != nil {
		if r != nil {
			return nil, errors.New("an error, and a reader all the same")
		}
		return nil, err
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return &message{r.Head, string(body)}, nil
}

func readText(text string) (*message, error) { return read(strings.NewReader(text), boundary, limits) }

// write writes a message whole.
func write(tb testing.TB, m *message, boundary string) string {
	tb.Helper()
	before, after, err := m.Frame(boundary)
	if err != nil {
		tb.Fatalf("Frame: %v", err)
	}
	return before + m.body + after
}

// lines joins lines as they stand on the wire, without an end after the last.
func lines(l ...string) string { return strings.Join(l, "\r\n") }

// samples are messages of each kind.
func samples() map[string]*message {
	head := func(tokens ...string) related.Head {
		return related.Head{Tokens: tokens, Header: map[string]string{related.ContentType: "text/plain"}}
	}
	receipts := head("a.b.c")
	receipts.Receipts = ":AAAA:;td=:AAAA:, :BBBB:;td=:BBBB:"
	all := head("a.b.c", "e30", "A-Z_0.9")
	all.Receipts = receipts.Receipts
	all.Header = map[string]string{
		related.ContentType: `text/plain; charset="utf-8"`, related.ContentEncoding: "gzip",
		related.ContentLanguage: "de, en", related.ContentDisposition: "attachment; filename=\"\xfcber.txt\"",
	}
	bare := head("a.b.c")
	bare.Header = map[string]string{}
	proof := head("a.b.c")
	proof.Header = map[string]string{related.ContentType: "application/tlog-proof"}
	return map[string]*message{
		"one token":             {head("a.b.c"), "the body"},
		"everything":            {all, "the body"},
		"no fields":             {bare, "the body"},
		"receipts":              {receipts, "the body"},
		"a body of receipts":    {proof, "the body"},
		"empty":                 {head("a.b.c"), ""},
		"line ends":             {head("a.b.c"), "\r\n\r\n\r\n"},
		"a CR at the end":       {head("a.b.c"), "body\r"},
		"a line end at the end": {head("a.b.c"), "body\r\n"},
		"nearly delimiters":     {head("a.b.c"), "\r\n--the-boundar\r\n-the-boundary\n--the-boundary\r--the-boundary--the-boundary\r\n--the-boundarz\r\n--"},
		"nearly one at first":   {head("a.b.c"), "--the-boundar"},
		"another in it":         {head("a.b.c"), "--x\r\nContent-Type: application/exec+jwt\r\n\r\nd.e.f\r\n--x--\r\n"},
		"bytes of every kind":   {head("a.b.c"), everyByte()},
		"hyphens":               {head("a.b.c"), "--\r\n--\r\n--"},
		"an empty field in it":  {related.Head{Tokens: []string{"e30"}, Header: map[string]string{related.ContentType: ""}}, "x"},
		"a tab within a field":  {related.Head{Tokens: []string{"e30"}, Header: map[string]string{related.ContentType: "a\tb"}}, "x"},
		"a longer body":         {head("a.b.c"), strings.Repeat("0123456789\r\n--the-", 5000)},
		"as long as the buffer": {head("a.b.c"), strings.Repeat("\r", 16<<10)},
		"a body like it":        {related.Head{Tokens: []string{"e30"}, Header: map[string]string{related.ContentType: `multipart/related; type="text/plain"; boundary=x`}}, "x"},
		"four tokens":           {head("a", "b", "c", "d"), ""},
		"a token of hyphens":    {head("--", "-the-boundary"), ""},
		"receipts of hyphens":   {related.Head{Tokens: []string{"e30"}, Receipts: "--the-boundar", Header: map[string]string{}}, ""},
	}
}

func everyByte() string {
	b := make([]byte, 256)
	for n := range b {
		b[n] = byte(n)
	}
	return string(b)
}
