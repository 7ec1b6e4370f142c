/// Common English words, the most common first, for vocabularies whose random output reads well.
enum EnglishWords {
    static var all: [Substring] {
        text.split { $0 == " " || $0 == "\n" }
    }

    private static let text = """
        the of and to a in is it you that he was for on are with as i his they be at one have this
        from or had by hot but some what there we can out other were all your when up use word how
        said an each she which do their time if will way about many then them would write like so
        these her long make thing see him two has look more day could go come did my sound no most
        number who over know water than call first people may down side been now find any new work
        part take get place made live where after back little only round man year came show every
        good me give our under name very through just form much great think say help low line before
        turn cause same mean differ move right boy old too does tell sentence set three want air well
        also play small end put home read hand port large spell add even land here must big high such
        follow act why ask men change went light kind off need house picture try us again animal point
        mother world near build self earth father head stand own page should country found answer
        school grow study still learn plant cover food sun four thought let keep eye never last door
        between city tree cross since hard start might story saw far sea draw left late run while press
        close night real life few stop open seem together next white children begin got walk example
        ease paper often always music those both mark book letter until mile river car feet care second
        group carry took rain eat room friend began idea fish mountain north once base hear horse cut
        sure watch color face wood main enough plain girl usual young ready above ever red list though
        feel talk bird soon body dog family direct pose leave song measure state product black short
        numeral class wind question happen complete ship area half rock order fire south problem piece
        told knew pass farm top whole king size heard best hour better true during hundred remember
        step early hold west ground interest reach fast five sing listen six table travel less morning
        ten simple several vowel toward war lay against pattern slow center love person money serve
        appear road map science rule govern pull cold notice voice fall power town fine certain fly
        unit lead cry dark machine note wait plan figure star box noun field rest correct able pound
        done beauty drive stood contain front teach week final gave green oh quick develop sleep warm
        free minute strong special mind behind clear tail produce fact street inch lot nothing course
        stay wheel full force blue object decide surface deep moon island foot yet busy test record
        boat common gold possible plane age dry wonder laugh thousand ago ran check game shape yes cool
        miss brought heat snow bed bring sit perhaps fill east weight language among grain ball wave
        drop heart am present heavy dance engine position arm wide sail material fraction forest sat
        race window store summer train sleep prove lone leg exercise wall catch mount wish sky board
        joy winter written wild instrument kept glass grass cow job edge sign visit past soft fun
        bright gas weather month million bear finish happy hope flower clothe strange gone trade melody
        trip office receive row mouth exact symbol die least trouble shout except wrote seed tone join
        suggest clean break lady yard rise bad blow oil blood touch grew cent mix team wire cost lost
        brown wear garden equal sent choose fell fit flow fair bank collect save control gentle woman
        captain practice separate difficult doctor please protect noon crop modern element hit student
        corner party supply whose locate ring character insect caught period indicate radio spoke atom
        human history effect electric expect bone rail imagine provide agree thus capital chair danger
        fruit rich thick soldier process operate guess necessary sharp wing create neighbor wash bat
        rather crowd corn compare poem string bell depend meat rub tube famous dollar stream fear sight
        thin triangle planet hurry chief colony clock mine tie enter major fresh search send yellow gun
        allow print dead spot desert suit current lift rose continue block chart hat sell success
        company subtract event particular deal swim term opposite wife shoe shoulder spread arrange camp
        invent cotton born determine quart nine truck noise level chance gather shop stretch throw shine
        property column molecule select wrong gray repeat require broad prepare salt nose plural anger
        claim continent oxygen sugar death pretty skill women season solution magnet silver thank branch
        match suffix especially fig afraid huge sister steel discuss forward similar guide experience
        score apple bought led pitch coat mass card band rope slip win dream evening condition feed tool
        total basic smell valley nor double seat arrive master track parent shore division sheet
        substance favor connect post spend chord fat glad original share station dad bread charge proper
        bar offer segment slave duck instant market degree populate chick dear enemy reply drink occur
        support speech nature range steam motion path liquid log meant quotient teeth shell neck
        caravan desert journey traveler lantern compass harbor silk pepper tent camel merchant oasis
        """
}
