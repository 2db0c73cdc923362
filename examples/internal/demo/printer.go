// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
)

// Printer writes lines and remembers the first error, after which it writes nothing. It is
// for one goroutine.
type Printer struct {
	w   io.Writer
	err error
}

// NewPrinter returns a printer that writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// Line formats as fmt.Printf does, and ends the line.
func (p *Printer) Line(format string, args ...any) {
	p.Do(func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// Do lets f write.
func (p *Printer) Do(f func(io.Writer) error) {
	if p.err == nil {
		p.err = f(p.w)
	}
}

// Err returns the first error.
func (p *Printer) Err() error { return p.err }
