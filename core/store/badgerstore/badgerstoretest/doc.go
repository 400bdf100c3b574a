// Package badgerstoretest reads what package badgerstore has written, row by
// row and without that package's help: for tests that look for what must not be
// on a disk.
//
// Rows cuts the rows into fields after the layout in badgerstore's rows.go. It
// is strict: a byte that the layout does not account for is an error. So a row
// that grew a field is noticed here even if the engine itself still reads it.
//
// Only tests may import it (docs/arch_test.go). It protects nothing.
package badgerstoretest
