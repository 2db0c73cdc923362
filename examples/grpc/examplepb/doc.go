// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package examplepb is the services of the example, as generated from the .proto files
// beside it.
package examplepb

//go:generate make -C ../../.. generate
