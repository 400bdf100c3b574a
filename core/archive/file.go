package archive

import (
	"errors"
	"io"

	"filippo.io/age"
)

// Errors of files, with errors.Is.
var (
	// ErrPassphrase: the file is under another passphrase, or this one is empty
	// or longer than MaxPassphrase.
	ErrPassphrase = errors.New("archive: wrong passphrase")
	// ErrFile: this is no archive, or it was cut or changed.
	ErrFile = errors.New("archive: not an archive, or damaged")
)

// Encrypt returns a writer that encrypts to w under a passphrase. Closing it
// writes the end; it does not close w. Errors are ErrPassphrase and w's.
func Encrypt(w io.Writer, passphrase []byte) (io.WriteCloser, error) {
	return encrypt(w, passphrase, workFactor)
}

func encrypt(w io.Writer, passphrase []byte, work int) (io.WriteCloser, error) {
	if len(passphrase) == 0 || len(passphrase) > MaxPassphrase {
		return nil, ErrPassphrase
	}
	r, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, ErrPassphrase
	}
	r.SetWorkFactor(work)
	return age.Encrypt(w, r)
}

// Decrypt returns a reader of what Encrypt encrypted. Errors, of it and of the
// reader, are ErrPassphrase, ErrFile and r's.
func Decrypt(r io.Reader, passphrase []byte) (io.Reader, error) {
	return decrypt(r, passphrase, maxWorkFactor)
}

func decrypt(r io.Reader, passphrase []byte, most int) (io.Reader, error) {
	if len(passphrase) == 0 || len(passphrase) > MaxPassphrase {
		return nil, ErrPassphrase
	}
	id, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, ErrPassphrase
	}
	id.SetMaxWorkFactor(most)
	source := &remembering{r: r}
	plain, err := age.Decrypt(source, id)
	var none *age.NoIdentityMatchError
	switch {
	case err == nil:
		return &fileReader{plain, source}, nil
	case errors.As(err, &none):
		return nil, ErrPassphrase
	}
	return nil, source.cause()
}

// remembering keeps the error that is the source's own, to tell it from those
// of the format.
type remembering struct {
	r   io.Reader
	err error
}

func (s *remembering) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *remembering) cause() error {
	if s.err != nil {
		return s.err
	}
	return ErrFile
}

// fileReader makes the errors of age this package's.
type fileReader struct {
	plain  io.Reader
	source *remembering
}

func (f *fileReader) Read(b []byte) (int, error) {
	n, err := f.plain.Read(b)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, f.source.cause()
}
