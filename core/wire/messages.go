package wire

// NewMessage returns an empty control message of the type, or nil for a type
// that is not a control message.
func NewMessage(t FrameType) Message {
	if int(t) < len(messages) && messages[t] != nil {
		return messages[t]()
	}
	return nil
}

var messages = [...]func() Message{
	TypeDone:      func() Message { return new(Done) },
	TypeRefusal:   func() Message { return new(Refusal) },
	TypeRegister:  func() Message { return new(Register) },
	TypeAuth:      func() Message { return new(Auth) },
	TypeSession:   func() Message { return new(Session) },
	TypePrekeys:   func() Message { return new(Prekeys) },
	TypeStock:     func() Message { return new(Stock) },
	TypeSealKey:   func() Message { return new(SealKey) },
	TypeCertify:   func() Message { return new(Certify) },
	TypeCert:      func() Message { return new(Cert) },
	TypeMint:      func() Message { return new(Mint) },
	TypeMinted:    func() Message { return new(Minted) },
	TypeBlock:     func() Message { return new(Block) },
	TypeBlocked:   func() Message { return new(Blocked) },
	TypeUnblock:   func() Message { return new(Unblock) },
	TypeQuery:     func() Message { return new(Query) },
	TypeAnswer:    func() Message { return new(Answer) },
	TypeDescribe:  func() Message { return new(Describe) },
	TypeDescribed: func() Message { return new(Described) },

	TypeUpdateManifest: func() Message { return new(UpdateManifest) },
	TypeAccount:        func() Message { return new(Account) },
	TypeAccountState:   func() Message { return new(AccountState) },

	TypeRecover:            func() Message { return new(Recover) },
	TypeRendezvousOpen:     func() Message { return new(RendezvousOpen) },
	TypeRendezvousPut:      func() Message { return new(RendezvousPut) },
	TypeRendezvousGet:      func() Message { return new(RendezvousGet) },
	TypeRendezvousDocument: func() Message { return new(RendezvousDocument) },

	TypeSyncPut:          func() Message { return new(SyncPut) },
	TypeIssueSubmission:  func() Message { return new(IssueSubmission) },
	TypeSubmissionIssued: func() Message { return new(SubmissionIssued) },
	TypeSetPolicy:        func() Message { return new(SetPolicy) },
	TypeBlockPseudonyms:  func() Message { return new(BlockPseudonyms) },

	TypeIssueMembership:    func() Message { return new(IssueMembership) },
	TypeMembershipIssued:   func() Message { return new(MembershipIssued) },
	TypeAdmissionKeys:      func() Message { return new(AdmissionKeys) },
	TypeAdmissionKeysAre:   func() Message { return new(AdmissionKeysAre) },
	TypeShareMembershipKey: func() Message { return new(ShareMembershipKey) },

	TypeIssueTokens:   func() Message { return new(IssueTokens) },
	TypeIssuedTokens:  func() Message { return new(IssuedTokens) },
	TypePublish:       func() Message { return new(Publish) },
	TypePublished:     func() Message { return new(Published) },
	TypeReport:        func() Message { return new(Report) },
	TypeReported:      func() Message { return new(Reported) },
	TypeVerdict:       func() Message { return new(Verdict) },
	TypeVerdictAnswer: func() Message { return new(VerdictAnswer) },
	TypeNotice:        func() Message { return new(Notice) },
}
